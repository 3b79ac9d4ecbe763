// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// Tomcat with two servlets: java -cp JARS Catalina.java PORT DIR
import java.io.IOException;
import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;

public class Catalina {
    static class Show extends HttpServlet {
        final String section;

        Show(String section) {
            this.section = section;
        }

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            response.setContentType("text/plain");
            response.getWriter().print("section=" + section + "\n");
            String[] values = request.getParameterValues("client_id");
            for (String value : values == null ? new String[0] : values) {
                response.getWriter().print("query=" + value + "\n");
            }
            for (Cookie cookie : request.getCookies() == null ? new Cookie[0] : request.getCookies()) {
                if (cookie.getName().equals("client_id")) {
                    response.getWriter().print("cookie=" + cookie.getValue() + "\n");
                }
            }
            if (request.getHeader("X-Client-Id") != null) {
                response.getWriter().print("header=" + request.getHeader("X-Client-Id") + "\n");
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(args[1]);
        Connector connector = new Connector();
        connector.setProperty("address", "127.0.0.1");
        connector.setPort(Integer.parseInt(args[0]));
        connector.setProperty("encodedSolidusHandling", "decode");
        connector.setProperty("allowBackslash", "true");
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", args[1]);
        Tomcat.addServlet(context, "app", new Show("app"));
        Tomcat.addServlet(context, "open", new Show("open"));
        context.addServletMappingDecoded("/app/*", "app");
        context.addServletMappingDecoded("/", "open");
        tomcat.start();
        tomcat.getServer().await();
    }
}
